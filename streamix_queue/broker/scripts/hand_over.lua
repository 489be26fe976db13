-- Still ours? -> onto the inbox of its event -> ack; 2 = acked only, for nobody handles it.
-- The look into the registry and the ack are one step, so that a member which registers in
-- between cannot lose a message.
-- KEYS source inbox handlers suspects
-- ARGV group consumer id deliveries or_absent inbox suspect_field ttl_ms event always field value ...
-- uses: fence handled finish
local stands = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if blocked(stands, ARGV[5]) then return stands end
local handled = ARGV[10] == '1' or is_handled(KEYS[3], ARGV[9], ARGV[8])
if handled then redis.call('XADD', KEYS[2], '*', unpack(ARGV, 11)) end
finish(KEYS[1], ARGV[1], ARGV[3], ARGV[6], KEYS[4], ARGV[7])
return handled and 1 or 2
