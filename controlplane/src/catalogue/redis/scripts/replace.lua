-- Puts a catalogue that was written beside the old one into its place, if nothing happened since the caller looked;
-- 1: it is in place, 0: nothing was done.
-- KEYS owner generation records docs kept trusted, then the new records, docs and kept
-- ARGV owner and generation as they were found ('' for none), the caller as owner, generation of this attempt,
--      '1' when trusted, count of records, count of documents, count of kept
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] or (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then
  return 0
end
local records, docs, kept = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call('HLEN', KEYS[7]) ~= records or redis.call('HLEN', KEYS[8]) ~= docs
    or redis.call('SCARD', KEYS[9]) ~= kept then
  return 0
end
redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[5], KEYS[6])
local function place(count, from, to)
  if count > 0 then
    redis.call('RENAME', from, to)
    redis.call('PERSIST', to)
  end
end
place(records, KEYS[7], KEYS[3])
place(docs, KEYS[8], KEYS[4])
place(kept, KEYS[9], KEYS[5])
if ARGV[5] == '1' then
  redis.call('SET', KEYS[6], '1')
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[4])
return 1
