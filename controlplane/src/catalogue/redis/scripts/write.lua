-- Writes one batch, if the caller is the owner and Redis is as the caller left it; 1: written, 0: nothing was done.
-- KEYS owner generation records docs kept trusted
-- ARGV owner, generation that was acknowledged, generation of this attempt, '1' when trusted, counts of records to delete,
--      documents to delete, records to put, documents to put; then the ids and names to delete, id and record of each put,
--      name and document of each put, and the ids to keep
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local generation = tonumber(redis.call('GET', KEYS[2]) or '')
if not generation or generation < tonumber(ARGV[2]) or generation >= tonumber(ARGV[3]) then
  return 0
end
local at = 9
local function delete(key, count)
  for _ = 1, tonumber(count) do
    redis.call('HDEL', key, ARGV[at])
    at = at + 1
  end
end
local function put(key, count)
  for _ = 1, tonumber(count) do
    redis.call('HSET', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
end
-- Deletes come first: a Redis without memory refuses what grows it, but only as the first write of a script.
delete(KEYS[3], ARGV[5])
delete(KEYS[4], ARGV[6])
put(KEYS[3], ARGV[7])
put(KEYS[4], ARGV[8])
while ARGV[at] do
  redis.call('SADD', KEYS[5], ARGV[at])
  at = at + 1
end
if ARGV[4] == '1' then
  redis.call('SET', KEYS[6], '1')
end
redis.call('SET', KEYS[2], ARGV[3])
return 1
