-- Counts entries from one id to below another, a bounded number: what trimming would remove. The
-- entries are read for that, but do not leave the server.
-- KEYS stream
-- ARGV from below limit
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '(' .. ARGV[2], 'COUNT', ARGV[3])
local last = entries[#entries]
return {#entries, last and last[1] or ARGV[2]}
