-- Makes delayed members due now by the server's clock. One that left meanwhile stays away, and one
-- that is due keeps its place. Per member: 1 = it is due now, 0 = it is not there (any more).
-- KEYS delayed
-- ARGV member ...
-- uses: clock
local answers, now = {}, now_ms()
for i, member in ipairs(ARGV) do
  local due = redis.call('ZSCORE', KEYS[1], member)
  if due and tonumber(due) > now then redis.call('ZADD', KEYS[1], 'XX', now, member) end
  answers[i] = due and 1 or 0
end
return answers
