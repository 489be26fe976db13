-- XAUTOCLAIM with what it does not tell: the delivery count of each entry, and on Redis 6.2
-- the ids whose payload was trimmed away.
-- Nothing is taken after latest_ms (if there is one): the server stood still, and nobody could renew.
-- KEYS source
-- ARGV group consumer min_idle_ms cursor count latest_ms
-- uses: clock
if ARGV[6] ~= '' and now_ms() > tonumber(ARGV[6]) then return false end
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
