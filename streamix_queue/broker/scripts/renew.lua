-- Renews the leases that are still ours; per lease 1 = ours, 0 = stolen, 2 = pending for nobody.
-- A bare XCLAIM would steal back what another consumer has legitimately reclaimed.
-- KEYS source
-- ARGV group consumer (id deliveries) ...
-- uses: fence
local answers, mine, at = {}, {}, {}
for i = 3, #ARGV, 2 do
  local stands = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[i], ARGV[i + 1])
  local slot = #answers + 1
  if stands == 1 then
    answers[slot] = 1
    mine[#mine + 1] = ARGV[i]
    at[ARGV[i]] = slot
  else
    answers[slot] = stands == 0 and 2 or 0
  end
end
if #mine > 0 then
  local command = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], '0'}
  for i = 1, #mine do command[#command + 1] = mine[i] end
  command[#command + 1] = 'JUSTID'
  -- Redis 7 and later drop a pending entry here whose payload was trimmed, without a word.
  local renewed = {}
  for _, id in ipairs(redis.call(unpack(command))) do renewed[id] = true end
  for _, id in ipairs(mine) do
    if not renewed[id] then answers[at[id]] = 2 end
  end
end
return answers
