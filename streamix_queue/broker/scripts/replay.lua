-- Replays one dead letter: onto the inbox of its event in the group where it failed -> off the
-- dead-letter stream, last. Asked again after a lost reply it finds the letter gone: nothing twice.
-- The id of the new entry = done, 0 = no such letter (any more), 2 = nobody in the group reads that inbox.
-- KEYS failed inbox handlers
-- ARGV letter_id ttl_ms event always field value ...
-- uses: payload handled
if not payload(KEYS[1], ARGV[1]) then return 0 end
if ARGV[4] ~= '1' and not is_handled(KEYS[3], ARGV[3], ARGV[2]) then return 2 end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 5))
redis.call('XDEL', KEYS[1], ARGV[1])
return id
