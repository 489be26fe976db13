-- Takes a member out of the delayed set: onto the dead-letter stream first, if it has a letter. Asked
-- again after a lost reply it finds the member gone: no second letter.
-- The id of the letter, 1 = removed without one, 0 = not there (any more).
-- KEYS delayed failed
-- ARGV member [field value ...]
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local done = 1
if ARGV[2] then done = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2)) end
redis.call('ZREM', KEYS[1], ARGV[1])
return done
