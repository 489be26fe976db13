-- Still ours? -> one more start of this suspect; 0 = not ours. The count is kept as "starts deliveries":
-- a delivery counts once, however often it is told (a late reply) and though it was handed back unstarted.
-- KEYS source suspects
-- ARGV group consumer id deliveries or_absent suspect_field ttl_ms
-- uses: fence
if blocked(standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]), ARGV[5]) then return 0 end
local starts, counted = string.match(redis.call('HGET', KEYS[2], ARGV[6]) or '0 0', '(%d+) (%d+)')
if counted ~= ARGV[4] then
  starts = starts + 1
  redis.call('HSET', KEYS[2], ARGV[6], string.format('%d %s', starts, ARGV[4]))
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return tonumber(starts)
