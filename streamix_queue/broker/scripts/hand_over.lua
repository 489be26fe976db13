-- Still ours? -> onto the inbox of its event -> ack; 2 = acked only, for nobody handles it.
-- The look into the registry and the ack are one step, so that a member which registers in
-- between cannot lose a message.
-- KEYS source inbox handlers suspects
-- ARGV group consumer id deliveries fresh inbox suspect_field ttl_ms event always field value ...
local now = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if blocked(now, ARGV[5]) then return now end
local handled = ARGV[10] == '1'
if not handled then
  local seen = redis.call('ZSCORE', KEYS[3], ARGV[9])
  handled = seen and tonumber(seen) >= now_ms() - tonumber(ARGV[8])
end
if handled then redis.call('XADD', KEYS[2], '*', unpack(ARGV, 11)) end
forgive(KEYS[4], ARGV[7])
ack(KEYS[1], ARGV[1], ARGV[3], ARGV[6])
return handled and 1 or 2
