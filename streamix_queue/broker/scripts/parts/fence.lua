-- Whether an entry is still ours, for XACK, XCLAIM and XDEL have no check of the owner.
-- uses: code

-- 1 = the entry is pending for this consumer with this delivery count, 0 = pending for nobody,
-- -1 = another consumer's, or a later delivery to this one.
local function standing(key, group, consumer, id, deliveries)
  local pending = redis.pcall('XPENDING', key, group, id, id, 1)
  local code = code_of(pending)
  if code == 'NOGROUP' then return 0 end
  if code then error(pending.err) end
  if #pending == 0 then return 0 end
  if pending[1][2] == consumer and tostring(pending[1][4]) == deliveries then return 1 end
  return -1
end

-- Whether a command has to leave the entry alone. Not pending for anybody counts as ours if the
-- command says so ('1'): nobody else can have had the entry, it was trimmed or its group destroyed.
local function blocked(stands, or_absent)
  return stands < 0 or (stands == 0 and or_absent ~= '1')
end
