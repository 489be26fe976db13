-- Fetches entries that are pending for us already, because the reply that held them was lost.
-- JUSTID keeps the delivery count: nothing was delivered.
-- KEYS source
-- ARGV group consumer (id deliveries) ...
-- uses: fence payload
local entries = {}
for i = 3, #ARGV, 2 do
  local fields = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[i], ARGV[i + 1]) == 1 and payload(KEYS[1], ARGV[i])
  if fields then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    entries[#entries + 1] = {ARGV[i], tonumber(ARGV[i + 1]), fields}
  end
end
return entries
