-- Makes the caller the owner, in a term above every earlier one; tells the term and the generation to go on from.
-- KEYS owner generation trusted; ARGV run, term and generation as the state directory remembers them
local found = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):') or '0'
local term = math.max(tonumber(found), tonumber(ARGV[2])) + 1
local generation = tonumber(redis.call('GET', KEYS[2]) or '0')
local remembered = tonumber(ARGV[3])
if generation < remembered then
  -- Redis holds less than was acknowledged: what it does not know is not to be taken for garbage.
  redis.call('DEL', KEYS[3])
  generation = remembered
end
redis.call('SET', KEYS[1], string.format('%d:%s', term, ARGV[1]))
redis.call('SET', KEYS[2], string.format('%d', generation))
return {term, generation}
