-- Still ours? -> one more start of this suspect; 0 = not ours.
-- KEYS source suspects
-- ARGV group consumer id deliveries suspect_field ttl_ms
if standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) ~= 1 then return 0 end
local starts = redis.call('HINCRBY', KEYS[2], ARGV[5], 1)
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return starts
