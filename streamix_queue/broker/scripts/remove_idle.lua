-- Removes the names of consumers that have nothing pending and have been silent for long. Redis
-- makes a name again at its next read, so even a living one loses nothing. The look and the removal
-- are one step, for XGROUP DELCONSUMER destroys what is pending.
-- KEYS stream ...
-- ARGV group consumer (ours, which stays) idle_ms
-- uses: code pairs
local removed = {}
for _, key in ipairs(KEYS) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
  local code = code_of(consumers)
  if code and code ~= 'NOGROUP' and code ~= 'NOKEY' then return consumers end
  for _, flat in ipairs(consumers) do
    local consumer = pairs_of(flat)
    -- Before 7.2, which also tells 'inactive', reads that find nothing do not count as a sign of life.
    local longest = tonumber(ARGV[3])
    if not consumer.inactive then longest = longest * 24 end
    if consumer.pending == 0 and consumer.idle >= longest and consumer.name ~= ARGV[2] then
      redis.call('XGROUP', 'DELCONSUMER', key, ARGV[1], consumer.name)
      removed[consumer.name] = true
    end
  end
end
local names = {}
for name in pairs(removed) do names[#names + 1] = name end
return names
