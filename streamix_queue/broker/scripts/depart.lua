-- Removes a consumer's name where nothing is pending for it. XGROUP DELCONSUMER destroys what
-- is pending, so the look and the removal have to be one step.
-- KEYS stream ...
-- ARGV group consumer
local removed = 0
for _, key in ipairs(KEYS) do
  local pending = redis.pcall('XPENDING', key, ARGV[1], '-', '+', 1, ARGV[2])
  if not pending.err and #pending == 0 then
    redis.pcall('XGROUP', 'DELCONSUMER', key, ARGV[1], ARGV[2])
    removed = removed + 1
  end
end
return removed
