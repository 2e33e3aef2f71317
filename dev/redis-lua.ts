/**
 * Scripts for the embedded engine. ioredis-mock runs Lua 5.3 and loses numbers, empty strings, errors and
 * tables on the way. So each script runs inside the prelude below, which gives it the world of Redis's Lua 5.1
 * (strict globals, error tables, integers) and calls back into TypeScript for every command.
 */
import { RedisError, type Reply } from './redis-engine.ts'

/** Runs one command of ioredis-mock at once. @throws RedisError */
export type LuaCall = (command: string[]) => unknown
type Eval = (script: string, ...args: Array<string | Buffer>) => Promise<unknown>
type Perform = (command: string[], call: LuaCall) => Reply

const prelude = `
local host, source, keycount = ARGV[1], ARGV[2], tonumber(ARGV[3])
local keys, argv = {}, {}
for i = 4, #ARGV do
  if i - 3 <= keycount then keys[i - 3] = ARGV[i] else argv[i - 3 - keycount] = ARGV[i] end
end
local rawcall = call

local function incoming(v)
  if v == nil then return false end
  if type(v) == 'number' then return math.tointeger(v) or v end
  if type(v) ~= 'userdata' then return v end
  if v.err ~= nil then return { err = v.err } end
  if v.ok ~= nil then return { ok = v.ok } end
  local t = {}
  for i = 0, v.length - 1 do t[math.tointeger(i) + 1] = incoming(v[i]) end
  return t
end
local function words(...)
  local t = { ... }
  if select('#', ...) == 0 then return nil end
  for i = 1, select('#', ...) do
    local v = t[i]
    if type(v) == 'number' then t[i] = math.tointeger(v) and ('%d'):format(v) or ('%.17g'):format(v)
    elseif type(v) ~= 'string' then return nil end
  end
  return t
end
local function command(...)
  local t = words(...)
  if not t then return { err = 'ERR Lua redis lib command arguments must be strings or integers' } end
  return incoming(host.perform(rawcall, table.unpack(t)))
end
local redis = {
  call = function(...)
    local r = command(...)
    if type(r) == 'table' and r.err ~= nil then error(r) end
    return r
  end,
  pcall = command,
  error_reply = function(s) return { err = s:find('^%u+ ') and s or 'ERR ' .. s } end,
  status_reply = function(s) return { ok = s } end,
  log = function() end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
}

local function pick(from, names)
  local t = {}
  for name in names:gmatch('%S+') do t[name] = from[name] end
  return t
end
local world = pick(_G, 'assert error getmetatable ipairs next pairs pcall rawequal rawget rawset select setmetatable tonumber type xpcall')
world.tostring = function(v) return type(v) == 'number' and ('%.14g'):format(v) or tostring(v) end
world.unpack = table.unpack
world.table = pick(table, 'concat insert remove sort')
world.math = pick(math, 'abs ceil floor fmod huge log max min modf pi random randomseed sqrt')
world.string = pick(string, 'byte char find format gmatch gsub len lower match rep reverse sub upper')
world.redis, world.KEYS, world.ARGV = redis, keys, argv
setmetatable(world, {
  __index = function(_, n) error('Script attempted to access nonexistent global variable ' .. ("'%s'"):format(tostring(n)), 2) end,
  __newindex = function() error('Attempt to modify a readonly table', 2) end,
})

local function outgoing(v)
  local kind = type(v)
  if kind == 'string' then
    if utf8.len(v) then return v end
    return host.hex(nil, (v:gsub('.', function(c) return ('%02x'):format(c:byte()) end)))
  end
  if kind == 'number' then return v end
  if kind == 'table' then
    if v.err ~= nil then return host.failure(nil, tostring(v.err)) end
    if v.ok ~= nil then return tostring(v.ok) end
    local list, i = host.list(nil), 1
    while v[i] ~= nil do
      host.push(list, outgoing(v[i]))
      i = i + 1
    end
    return list
  end
  return v == true and 1 or false
end
local main, wrong = load(source, '=user_script', 't', world)
if not main then
  host.done(nil, host.failure(nil, 'ERR Error compiling script (new function): ' .. wrong))
else
  local ok, result = pcall(main)
  if not ok and type(result) ~= 'table' then result = { err = 'ERR ' .. tostring(result) } end
  host.done(nil, outgoing(result))
end
return 1
`

/**
 * @param rest `numkeys`, the keys, the arguments, as EVAL has them.
 * @throws RedisError in Redis's words, for the script's own errors too.
 */
export async function runScript(
  evaluate: Eval,
  source: string,
  rest: string[],
  perform: Perform,
): Promise<Reply> {
  const [count = '', ...values] = rest
  if (!/^-?\d+$/.test(count)) throw new RedisError('ERR value is not an integer or out of range')
  if (Number(count) < 0) throw new RedisError("ERR Number of keys can't be negative")
  if (Number(count) > values.length)
    throw new RedisError("ERR Number of keys can't be greater than number of args")

  let result: unknown = new RedisError('ERR the script did not end')
  // Lua passes its first argument as `this`; an exception of ours must not cross the Lua machine.
  const host = {
    perform(this: unknown, ...command: string[]) {
      const rawcall = this as (...args: unknown[]) => unknown
      try {
        const reply = perform(command, (words) => unpacked(rawcall.call(true, ...words)))
        return forLua(command[0]!, reply)
      } catch (error) {
        return { err: error instanceof Error ? error.message : String(error) }
      }
    },
    list: (): unknown[] => [],
    push(this: unknown[], item: unknown) {
      this.push(item)
    },
    hex: (digits: string) => Buffer.from(digits, 'hex'),
    failure: (words: string) => new RedisError(words),
    done(value: unknown) {
      result = value
    },
  }
  // The one kind of object ioredis-mock hands to Lua untouched is a Buffer.
  await evaluate(prelude, Object.assign(Buffer.alloc(0), host), source, count, ...values)
  if (result instanceof RedisError) throw result
  return outcome(result)
}

/** An answer as ioredis-mock gives it inside Lua: lists begin with a hole, errors are a pair. */
function unpacked(raw: unknown): unknown {
  if (!Array.isArray(raw)) return raw
  if (raw[0] === 'error') throw new RedisError(String(raw[1]).replace(/^Error: /, ''))
  return raw.slice(1)
}

function forLua(name: string, reply: Reply): unknown {
  if (reply === null) return false
  if (Array.isArray(reply)) return reply.map((item) => forLua('', item))
  if (reply instanceof Buffer) return reply.toString()
  // Redis gives scripts its status replies as a table; a value read from a key is plain text.
  const isStatus =
    (reply === 'OK' && /^(P?SET(EX)?|MSET|LTRIM|FLUSH(ALL|DB))$/i.test(name)) || /^(PING|TYPE)$/i.test(name)
  return isStatus ? { ok: reply } : reply
}

function outcome(value: unknown): Reply {
  if (Array.isArray(value)) return value.map(outcome)
  if (typeof value === 'number') return Math.trunc(value)
  if (typeof value === 'string' || value instanceof Buffer) return value
  return value instanceof RedisError ? value.message : null
}
