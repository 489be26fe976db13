-- A delayed member that cannot be read must not block those behind it: kept, but elsewhere.
-- KEYS delayed failed
-- ARGV member field value ...
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
