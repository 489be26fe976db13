-- How a stream and one of its groups are, in one look; ids only, for payloads may be large.
-- What cannot be read (a key of another type) is told by its error and left out.
-- KEYS stream failed delayed (inbox of event 1) (inbox of event 2) ...
-- ARGV group
-- uses: report pairs clock
local function id_of(entries) return entries and entries[1] and entries[1][1] end

-- Length, pending, first undelivered and the 100 oldest pending of a group on one key.
local function look(key, name)
  for _, flat in ipairs(ask('XINFO', 'GROUPS', key) or {}) do
    local group = pairs_of(flat)
    if group['name'] == ARGV[1] then
      say(name .. '.pending', group['pending'])
      say(name .. '.lag', group['lag'])
      say(name .. '.undelivered', id_of(ask('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)))
      local oldest = ask('XPENDING', key, ARGV[1], '-', '+', 100) or {}
      local idle, deliveries = 0, 0
      for _, entry in ipairs(oldest) do
        idle = math.max(idle, entry[3])
        deliveries = math.max(deliveries, entry[4])
      end
      say(name .. '.oldest_pending', oldest[1] and oldest[1][1])
      say(name .. '.max_idle', idle)
      say(name .. '.max_deliveries', deliveries)
      say(name .. '.group', 1)
    end
  end
  say(name .. '.length', ask('XLEN', key))
end

say('now_us', now_us())
look(KEYS[1], 'stream')
local stream = ask('XINFO', 'STREAM', KEYS[1])
if stream then
  local found = pairs_of(stream)
  say('stream.added', found['entries-added'])
  say('stream.first', found['first-entry'] and found['first-entry'][1])
  say('stream.last', found['last-entry'] and found['last-entry'][1])
end
for _, flat in ipairs(ask('XINFO', 'CONSUMERS', KEYS[1], ARGV[1]) or {}) do
  say('member.idle', pairs_of(flat)['idle'])
end
say('failed.length', ask('XLEN', KEYS[2]))
say('failed.first', id_of(ask('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)))
say('delayed.count', ask('ZCARD', KEYS[3]))
local due = ask('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES') or {}
say('delayed.due', due[2])
for i = 4, #KEYS do look(KEYS[i], 'inbox.' .. (i - 3)) end
return {told, refused}
