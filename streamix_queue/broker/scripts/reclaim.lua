-- XAUTOCLAIM with what it does not tell: the delivery count of each entry, and on Redis 6.2
-- the ids whose payload was trimmed away.
-- KEYS source
-- ARGV group consumer min_idle_ms cursor count
local found = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'JUSTID')
local entries, trimmed = {}, found[3] or {}
for _, id in ipairs(found[2]) do
  local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)  -- counts the delivery
  if claimed[1] then
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
    entries[#entries + 1] = {id, pending[1][4], claimed[1][2]}
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    trimmed[#trimmed + 1] = id
  end
end
return {found[1], entries, trimmed}
