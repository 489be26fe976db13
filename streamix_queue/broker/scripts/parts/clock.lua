-- The server's clock: Unix time in ms, a number, and in microseconds, as digits (a number would be rounded).
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function now_us()
  local time = redis.call('TIME')
  return time[1] .. string.format('%06d', time[2])
end
