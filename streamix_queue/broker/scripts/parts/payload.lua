-- The fields of an entry, nil if they were trimmed away. To be asked before an XCLAIM, which from
-- Redis 7 on drops such an entry without a word: then nobody would report the loss.
local function payload(key, id)
  local found = redis.call('XRANGE', key, id, id)
  return found[1] and found[1][2]
end
