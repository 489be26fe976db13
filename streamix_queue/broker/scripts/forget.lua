-- Forgets suspects whose entry is pending for nobody any more: trimmed, or its group made anew.
-- KEYS suspects (stream of field 1) (stream of field 2) ...
-- ARGV group (field 1) (id 1) (field 2) (id 2) ...
-- uses: fence
local forgotten = 0
for i = 2, #KEYS do
  local field, id = ARGV[2 * i - 2], ARGV[2 * i - 1]
  if standing(KEYS[i], ARGV[1], '', id, '') == 0 then
    forgotten = forgotten + redis.call('HDEL', KEYS[1], field)
  end
end
return forgotten
