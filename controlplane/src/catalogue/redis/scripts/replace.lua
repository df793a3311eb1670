-- Puts a catalogue that was written beside the old one into its place, if nothing happened since the caller looked;
-- 1: it is in place, 0: nothing was done.
-- KEYS owner generation records kept trusted, then the new records and kept
-- ARGV owner and generation as they were found ('' for none), the caller as owner, generation of this attempt,
--      '1' when trusted, count of records, count of kept
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] or (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then
  return 0
end
local records, kept = tonumber(ARGV[6]), tonumber(ARGV[7])
if redis.call('HLEN', KEYS[6]) ~= records or redis.call('SCARD', KEYS[7]) ~= kept then
  return 0
end
redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[5])
if records > 0 then
  redis.call('RENAME', KEYS[6], KEYS[3])
  redis.call('PERSIST', KEYS[3])
end
if kept > 0 then
  redis.call('RENAME', KEYS[7], KEYS[4])
  redis.call('PERSIST', KEYS[4])
end
if ARGV[5] == '1' then
  redis.call('SET', KEYS[5], '1')
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[4])
return 1
