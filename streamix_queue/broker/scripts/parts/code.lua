-- What Redis calls an error, as BrokerError.code has it; nil if the reply is none. No script looks
-- into the text of an error otherwise.
local function code_of(reply)
  if type(reply) ~= 'table' or not reply.err then return nil end
  if string.find(reply.err, 'ERR no such key', 1, true) == 1 then return 'NOKEY' end
  return string.match(reply.err, '^%u+') or 'ERR'
end
