-- What a look has found: `told` has names and values in turn, `refused` the errors in Redis' words.
-- A key that is not there is no error, and tells nothing.
-- uses: code
local told, refused = {}, {}

local function ask(...)
  local reply = redis.pcall(...)
  local code = code_of(reply)
  if not code then return reply end
  if code ~= 'NOKEY' then refused[#refused + 1] = reply.err end
end

local function say(name, value)
  if value then
    told[#told + 1] = name
    told[#told + 1] = value
  end
end
