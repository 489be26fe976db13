-- Moves delayed members to the inbox of their event. XADD before ZREM; a member that another
-- process moved first is passed over. One whose inbox is unfit (another type) is put off, or it
-- would for ever stand before the others; the error is told when those have moved.
-- KEYS delayed (inbox of member 1) (inbox of member 2) ...
-- ARGV (member 1) (member 2) ...
-- uses: clock
local moved, failed = 0, nil
for i, member in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], member) then
    local parts, position = {}, 1
    while position <= #member do
      local part
      part, position = struct.unpack('>I4c0', member, position)
      parts[#parts + 1] = part
    end
    local added = {err = 'ERR a retry has more fields than a script can pass on'}
    if #parts < 7900 then
      added = redis.pcall('XADD', KEYS[i + 1], '*', unpack(parts, 2))  -- the first part is the event
    end
    if added.err then
      failed = added
      redis.pcall('ZADD', KEYS[1], 'XX', now_ms() + 60000, member)
    else
      redis.call('ZREM', KEYS[1], member)
      moved = moved + 1
    end
  end
end
return failed or moved
