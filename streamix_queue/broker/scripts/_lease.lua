-- Prelude of every fenced script. XACK has no owner check, so each script asks first:
-- 1 = the entry is pending for this consumer with this delivery count, 0 = pending for nobody,
-- -1 = another consumer's, or a later delivery to this one.
local function standing(key, group, consumer, id, deliveries)
  local pending = redis.pcall('XPENDING', key, group, id, id, 1)
  if pending.err then
    if string.find(pending.err, 'NOGROUP', 1, true) then return 0 end
    error(pending.err)
  end
  if #pending == 0 then return 0 end
  if pending[1][2] == consumer and tostring(pending[1][4]) == deliveries then return 1 end
  return -1
end

-- May this command go on? Not pending for anybody counts as ours while the lease is fresh,
-- because then nobody else can have had the entry: it was trimmed or its group was destroyed.
local function blocked(standing_now, fresh)
  return standing_now < 0 or (standing_now == 0 and fresh ~= '1')
end

-- The fields of an entry, nil if they were trimmed away. To be asked before an XCLAIM, which from
-- Redis 7 on drops such an entry without a word: then nobody would report the loss.
local function payload(key, id)
  local found = redis.call('XRANGE', key, id, id)
  return found[1] and found[1][2]
end

-- Always the last effect of a script: scripts do not roll back. Entries of an inbox are read
-- by one group only and go with their ack.
local function ack(key, group, id, inbox)
  redis.call('XACK', key, group, id)
  if inbox == '1' then redis.call('XDEL', key, id) end
end

-- The entry has ended otherwise than by killing its process. Only bookkeeping: should the key be
-- unfit, that must not stop the ack after the entry was written elsewhere.
local function forgive(suspects, field)
  redis.pcall('HDEL', suspects, field)
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
