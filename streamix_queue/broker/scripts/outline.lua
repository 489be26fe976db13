-- A stream and how far each of its groups has come, at one moment; ids only, for payloads may be large.
-- Names and values of the stream, then the same of each group.
-- KEYS stream failed
-- uses: report pairs clock
say('now_us', now_us())
local stream = ask('XINFO', 'STREAM', KEYS[1])
if refused[1] then return redis.error_reply(refused[1]) end
if stream then
  local found = pairs_of(stream)
  say('first-entry', found['first-entry'] and found['first-entry'][1])
  for _, name in ipairs({'length', 'entries-added', 'last-generated-id'}) do say(name, found[name]) end
end
say('dead-letters', ask('XLEN', KEYS[2]))
return {told, ask('XINFO', 'GROUPS', KEYS[1]) or {}}
