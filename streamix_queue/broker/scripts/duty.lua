-- Whose duty it is to look after the stream, and after the group: 1 = ours. A holder that asks again
-- in time keeps it. Only economy rests on it, so without memory for the lock it is everybody's.
-- Also notes how long this group wants everything to be kept: the longest wish counts.
-- KEYS keeps lock ...
-- ARGV group keep_ms consumer ttl_ms
if redis.pcall('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then redis.pcall('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local answers = {}
for i = 2, #KEYS do
  local holder = redis.pcall('GET', KEYS[i])
  local free = type(holder) ~= 'string' or holder == ARGV[3]
  if free then redis.pcall('SET', KEYS[i], ARGV[3], 'PX', ARGV[4]) end
  answers[i - 1] = free and 1 or 0
end
return answers
