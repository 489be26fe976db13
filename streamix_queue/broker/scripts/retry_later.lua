-- For each: still ours? -> into the delayed set, due by the server's clock -> ack. Answers for each
-- 1 when that was done, else how it stands (see parts/fence), or the error that Redis refused it with.
-- KEYS source delayed suspects
-- ARGV group consumer inbox (id deliveries or_absent suspect_field delay_ms member) ...
-- uses: fence clock finish
local answers, now = {}, now_ms()
for i = 4, #ARGV, 6 do
  local answer = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[i], ARGV[i + 1])
  if not blocked(answer, ARGV[i + 2]) then
    local added = redis.pcall('ZADD', KEYS[2], now + tonumber(ARGV[i + 4]), ARGV[i + 5])
    if type(added) == 'table' then
      answer = added
    else
      finish(KEYS[1], ARGV[1], ARGV[i], ARGV[3], KEYS[3], ARGV[i + 3])
      answer = 1
    end
  end
  answers[#answers + 1] = answer
end
return answers
