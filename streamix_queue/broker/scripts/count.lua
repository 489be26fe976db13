-- Counts entries between two bounds, a bounded number, and tells the id of the last. The entries are
-- read for that, but do not leave the server.
-- KEYS stream
-- ARGV from to (as XRANGE takes them) limit
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
local last = entries[#entries]
return {#entries, last and last[1] or ''}
