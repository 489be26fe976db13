-- Counts entries behind an id, a bounded number: for servers and groups that know no lag. The
-- entries are read for that, but do not leave the server.
-- KEYS stream
-- ARGV after limit
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
local last = entries[#entries]
return {#entries, last and last[1] or ARGV[1]}
