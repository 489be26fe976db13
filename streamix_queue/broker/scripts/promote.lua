-- Moves delayed members to the inbox of their event. XADD before ZREM; a member that another
-- process moved first is passed over.
-- KEYS delayed (inbox of member 1) (inbox of member 2) ...
-- ARGV (member 1) (member 2) ...
local moved = 0
for i, member in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], member) then
    local parts, position = {}, 1
    while position <= #member do
      local part
      part, position = struct.unpack('>I4c0', member, position)
      parts[#parts + 1] = part
    end
    redis.call('XADD', KEYS[i + 1], '*', unpack(parts, 2))  -- the first part is the event
    redis.call('ZREM', KEYS[1], member)
    moved = moved + 1
  end
end
return moved
