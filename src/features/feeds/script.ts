/** A log lives this long after its last event or reader. */
export const LOG_TTL_S = 7_200
/** Events that a log keeps at most; who is further behind gets a snapshot. */
const LOG_EVENTS = 1_000
const LOG_BYTES = 4 * 1024 * 1024
const CALL_TTL_S = 120
const SENT_TTL_S = 86_400
/** Longer than an answer may last. */
export const OVER_TTL_S = 1_200

// Every number goes out as text: in some Luas a joined number reads "1.0".

/**
 * One flush: number the events, keep them, publish them, keep what is live, and tell who listens and whether a stop
 * is asked. A call that is sent again (the client re-sends what got no answer) changes nothing.
 *
 * KEYS 1 head, 2 log, 3 live, 4 the writer's call, 5 stop asked, 6 published mark (or the call again),
 *      7 the service's state, 8 the answer is over
 * ARGV 1 a new epoch, 2 the epoch that the writer knows or '', 3 number of the call, 4 channel, 5 '1' to set the mark,
 *      6 a live message to forget or '', 7 the time, 8 count of live pieces, then (field, text) of each, then the
 *      events
 * →    epoch, n, listeners, stop, 'ok' | 'repeat' | 'resync' (the log is another one: send the whole text again) | 'over' (nothing was done: only its end may be told)
 */
export const FLUSH = `
redis.call('SET', KEYS[7], ARGV[7])
local e = redis.call('HGET', KEYS[1], 'e')
local stop = string.format('%d', redis.call('EXISTS', KEYS[5]))
if (ARGV[6] == '' or ARGV[8] ~= '0') and redis.call('EXISTS', KEYS[8]) == 1 then return {e or '', '0', '1', stop, 'over'} end
if ARGV[2] ~= '' and e ~= ARGV[2] then return {e or '', '0', '1', stop, 'resync'} end
if not e then
  e = ARGV[1]
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'e', e, 'n', '0', 'b', '0')
end
local n = tonumber(redis.call('HGET', KEYS[1], 'n'))
if tonumber(redis.call('GET', KEYS[4]) or '0') >= tonumber(ARGV[3])
  or (ARGV[5] == '1' and redis.call('EXISTS', KEYS[6]) == 1) then
  return {e, string.format('%d', n), '1', stop, 'repeat'}
end
redis.call('SET', KEYS[4], ARGV[3], 'EX', '${CALL_TTL_S}')
local pieces = tonumber(ARGV[8])
for i = 1, pieces do redis.call('HSET', KEYS[3], ARGV[7 + 2 * i], ARGV[8 + 2 * i]) end
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[8], '1', 'EX', '${OVER_TTL_S}')
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if string.sub(field, 1, string.len(ARGV[6])) == ARGV[6] then redis.call('HDEL', KEYS[3], field) end
  end
end
local first = 9 + 2 * pieces
local listeners = 1
if #ARGV >= first then
  local bytes = tonumber(redis.call('HGET', KEYS[1], 'b'))
  local events = {}
  for i = first, #ARGV do
    events[#events + 1] = ARGV[i]
    bytes = bytes + string.len(ARGV[i])
    redis.call('RPUSH', KEYS[2], ARGV[i])
  end
  local length = redis.call('LLEN', KEYS[2])
  while length > ${LOG_EVENTS} or (bytes > ${LOG_BYTES} and length > 1) do
    bytes = bytes - string.len(redis.call('LPOP', KEYS[2]))
    length = length - 1
  end
  local last = n + #events
  redis.call('HSET', KEYS[1], 'n', string.format('%d', last), 'b', string.format('%d', bytes))
  listeners = redis.call('PUBLISH', ARGV[4],
    e .. ' ' .. string.format('%d', n + 1) .. ' [' .. table.concat(events, ',') .. ']')
  n = last
end
if ARGV[5] == '1' then redis.call('SET', KEYS[6], '1', 'EX', '${SENT_TTL_S}') end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], '${LOG_TTL_S}') end
return {e, string.format('%d', n), string.format('%d', listeners), stop, 'ok'}`

/**
 * One reading: the events after a place, or, where the log does not reach back to it, the position and what is live
 * at it.
 *
 * KEYS 1 head, 2 log, 3 live     ARGV 1 a new epoch, 2 the epoch and 3 the n of the place ('' and '0': none)
 * →    epoch, n, then 'events' and each event, or 'live' and each (field, text)
 */
export const READ = `
local e = redis.call('HGET', KEYS[1], 'e')
if not e then
  e = ARGV[1]
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'e', e, 'n', '0', 'b', '0')
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], '${LOG_TTL_S}') end
local n = tonumber(redis.call('HGET', KEYS[1], 'n'))
local oldest = n - redis.call('LLEN', KEYS[2])
local from = tonumber(ARGV[3])
local answer, more = {e, string.format('%d', n), 'events'}, {}
if ARGV[2] == e and from >= oldest and from <= n then
  if from < n then more = redis.call('LRANGE', KEYS[2], string.format('%d', from - oldest), '-1') end
else
  answer[3] = 'live'
  more = redis.call('HGETALL', KEYS[3])
end
for i = 1, #more do answer[#answer + 1] = more[i] end
return answer`
