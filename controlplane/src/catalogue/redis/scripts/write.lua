-- Writes one batch, if the caller is the owner and Redis is as the caller left it; 1: written, 0: nothing was done.
-- KEYS owner generation records kept trusted
-- ARGV owner, generation that was acknowledged, generation of this attempt, '1' when trusted, count of deletes, count of
--      puts; then the ids to delete, id and record of each put, and the ids to keep
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local generation = tonumber(redis.call('GET', KEYS[2]) or '')
if not generation or generation < tonumber(ARGV[2]) or generation >= tonumber(ARGV[3]) then
  return 0
end
local at = 7
-- Deletes come first: a Redis without memory refuses what grows it, but only as the first write of a script.
for _ = 1, tonumber(ARGV[5]) do
  redis.call('HDEL', KEYS[3], ARGV[at])
  at = at + 1
end
for _ = 1, tonumber(ARGV[6]) do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while ARGV[at] do
  redis.call('SADD', KEYS[4], ARGV[at])
  at = at + 1
end
if ARGV[4] == '1' then
  redis.call('SET', KEYS[5], '1')
end
redis.call('SET', KEYS[2], ARGV[3])
return 1
