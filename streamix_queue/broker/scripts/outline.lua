-- A stream and how far each of its groups has come, at one moment; ids only, for payloads may be large.
-- Names and values of the stream, then the same of each group.
-- KEYS stream failed
local function ask(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'no such key', 1, true) then
    return nil
  end
  return reply
end
local time = redis.call('TIME')
local answer = {'now_us', time[1] .. string.format('%06d', time[2])}
local function say(name, value)
  if value then
    answer[#answer + 1] = name
    answer[#answer + 1] = value
  end
end
local stream = ask('XINFO', 'STREAM', KEYS[1])
if not stream then stream = {} end
if stream.err then return stream end
for i = 1, #stream, 2 do
  local name, value = stream[i], stream[i + 1]
  if name == 'first-entry' then
    say(name, value and value[1])
  elseif name == 'length' or name == 'entries-added' or name == 'last-generated-id' then
    say(name, value)
  end
end
local letters = ask('XLEN', KEYS[2])
if type(letters) == 'number' then say('dead-letters', letters) end
return {answer, ask('XINFO', 'GROUPS', KEYS[1]) or {}}
