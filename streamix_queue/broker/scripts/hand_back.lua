-- Still ours? -> idle for idle_ms and one delivery fewer: an XNACK that every version knows.
-- The nudge tells the other members to look now and not at their next sweep.
-- KEYS source nudge
-- ARGV group consumer idle_ms (id deliveries) ...
-- uses: fence payload clock
local answers, given = {}, 0
for i = 4, #ARGV, 2 do
  local stands = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[i], ARGV[i + 1])
  if stands == 1 and not payload(KEYS[1], ARGV[i]) then
    stands = 0  -- nobody could take it: the caller holds the only copy
  elseif stands == 1 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i],
      'IDLE', ARGV[3], 'RETRYCOUNT', ARGV[i + 1] - 1, 'JUSTID')
    given = given + 1
  end
  answers[#answers + 1] = stands
end
if given > 0 then redis.call('SET', KEYS[2], now_ms(), 'PX', 600000) end
return answers
