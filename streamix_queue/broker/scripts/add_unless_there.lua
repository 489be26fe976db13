-- Publishing again after a lost reply: adds the entry unless a recent one holds the message id.
-- KEYS stream
-- ARGV message_id window_ms limit field value ...
local since = string.format('%.0f', now_ms() - tonumber(ARGV[2]))
local wanted = '{"id":"' .. ARGV[1] .. '"'  -- how every envelope begins
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', since, 'COUNT', ARGV[3])) do
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'message' and string.find(fields[i + 1], wanted, 1, true) == 1 then return entry[1] end
  end
end
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
