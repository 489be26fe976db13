-- Publishing again after a lost reply: adds the entry unless a recent one holds the message, that is
-- an envelope with this beginning, which has its id. The id of the entry.
-- It looks at a page at a time, newest first: mostly it is there, and payloads may be large.
-- KEYS stream
-- ARGV envelope_field beginning window_ms limit field value ...
-- uses: clock
local since = string.format('%.0f', now_ms() - tonumber(ARGV[3]))
local left, upper = tonumber(ARGV[4]), '+'
while left > 0 do
  local asked = math.min(left, 50)
  local page = redis.call('XREVRANGE', KEYS[1], upper, since, 'COUNT', asked)
  for _, entry in ipairs(page) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == ARGV[1] and string.find(fields[i + 1], ARGV[2], 1, true) == 1 then return entry[1] end
    end
  end
  if #page < asked then break end
  upper = '(' .. page[#page][1]
  left = left - asked
end
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
