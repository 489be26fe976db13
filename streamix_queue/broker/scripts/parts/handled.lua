-- Whether a member of the group handles an event: one has said so within ttl_ms.
-- uses: clock
local function is_handled(handlers, event, ttl_ms)
  local seen = redis.call('ZSCORE', handlers, event)
  return seen and tonumber(seen) >= now_ms() - tonumber(ttl_ms)
end
