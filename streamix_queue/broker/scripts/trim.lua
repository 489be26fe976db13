-- Removes what no group of the stream needs any more, a bounded number at a time; tells which
-- groups are far behind. The floor is the lowest id that a group needs: its first pending entry,
-- else the last one it was given. XTRIM itself knows nothing of groups.
-- KEYS stream [keeps]
-- ARGV keep_ms (negative: for ever) limit (0: only look) pinned_after_ms whole (1: to the last entry)
-- uses: code pairs clock

-- Ids have 64 bits and numbers here 53: compared as digits, without leading zeros.
local function below(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms == b_ms then a_ms, b_ms = a_seq, b_seq end
  if #a_ms ~= #b_ms then return #a_ms < #b_ms end
  return a_ms < b_ms
end
local function ago(ms) return string.format('%.0f-0', math.max(0, now_ms() - ms)) end

local infos = redis.pcall('XINFO', 'GROUPS', KEYS[1])
local code = code_of(infos)
if code == 'NOKEY' then return {0, '', 0, 0, {}} end
if code then return infos end
local groups = {}
for i, flat in ipairs(infos) do groups[i] = pairs_of(flat) end

-- The longest wish of a group that is there; what others have left behind is forgotten.
local keep = tonumber(ARGV[1])
if KEYS[2] then
  local there, wishes = {}, redis.pcall('HGETALL', KEYS[2])
  for _, group in ipairs(groups) do there[group.name] = true end
  for i = 1, #wishes, 2 do
    local wish = tonumber(wishes[i + 1])
    if not there[wishes[i]] then
      redis.call('HDEL', KEYS[2], wishes[i])
    elseif keep >= 0 and wish and (wish < 0 or wish > keep) then
      keep = wish
    end
  end
end

local floor, behind = nil, {}
local late = ago(math.max(keep, tonumber(ARGV[3])))
for _, group in ipairs(groups) do
  local needed, given = group['last-delivered-id'], group['last-delivered-id']
  if group.pending > 0 then
    local first = redis.call('XPENDING', KEYS[1], group.name, '-', '+', 1)
    if first[1] and below(first[1][1], needed) then needed = first[1][1] end
  end
  if not floor or below(needed, floor) then floor = needed end
  if keep >= 0 and below(needed, late) then
    if group.pending == 0 then  -- done with what it was given: is there more?
      local following = redis.call('XRANGE', KEYS[1], '(' .. given, '+', 'COUNT', 1)
      needed = following[1] and following[1][1]
    end
    if needed and below(needed, late) then behind[#behind + 1] = {group.name, needed, group.pending} end
  end
end
table.sort(behind, function(a, b) return below(a[2], b[2]) end)
local pinning, now = #behind, now_ms()
for i, pin in ipairs(behind) do
  pin[4] = string.format('%.0f', now - tonumber(string.match(pin[2], '^%d+')))
  if i > 16 then behind[i] = nil end
end

if not floor or keep < 0 then return {0, '', redis.call('XLEN', KEYS[1]), pinning, behind} end
local kept = ago(keep)
if below(kept, floor) then floor = kept end
local removed, limit = 0, tonumber(ARGV[2])
if limit > 0 then
  -- '~' takes whole nodes, which costs next to nothing, and needs a limit above the size of one.
  removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', floor, 'LIMIT', limit)
  if removed == 0 then
    local shape = pairs_of(redis.call('XINFO', 'STREAM', KEYS[1]))
    local largest = math.ceil(2 * shape.length / math.max(1, shape['radix-tree-keys']))
    if largest > limit then removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', floor, 'LIMIT', largest) end
  end
  if removed == 0 and ARGV[4] == '1' then
    removed = redis.call('XTRIM', KEYS[1], 'MINID', floor)
    if #groups == 1 and groups[1].pending == 0 and groups[1]['last-delivered-id'] == floor then
      removed = removed + redis.call('XDEL', KEYS[1], floor)
    end
  end
end
return {removed, floor, redis.call('XLEN', KEYS[1]), pinning, behind}
