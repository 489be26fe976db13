-- The last effects of a script that has put an entry elsewhere: its crashes are forgotten, for it did
-- not end by killing its process, and it is acked. Scripts do not roll back, so the ack comes last; and
-- a hash of suspects that is of another type must not stop it. Entries of an inbox are read by one
-- group only and go with their ack.
local function finish(key, group, id, inbox, suspects, suspect_field)
  redis.pcall('HDEL', suspects, suspect_field)
  redis.call('XACK', key, group, id)
  if inbox == '1' then redis.call('XDEL', key, id) end
end
