// The Lua that makes each operation on a call atomic in Redis, and the names of the keys.
import { createHash } from 'node:crypto';

/** A script, and the digest under which Redis caches it. */
export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

/** The keys of one store. A single Redis or a sentinel group is assumed, not a cluster: scripts reach several keys. */
export interface RedisKeys {
  /** Hash: epoch, ordinal, owner, lastSeq, live, summary. */
  call(callId: string): string;
  /** Stream of a call's events, all epochs: id `<ordinal>-<seq>`, field `e` the JSON. */
  stream(callId: string): string;
  /** Set of call ids. */
  readonly calls: string;
  /** Exists while the store of that id, in some process, lives. */
  owner(ownerId: string): string;
  /** Stream that ends a reader's blocking read when what it should read changes. */
  wake(ownerId: string): string;
}

export function redisKeys(prefix: string): RedisKeys {
  return {
    call: (callId) => `${prefix}call:${callId}`,
    stream: (callId) => `${prefix}stream:${callId}`,
    calls: `${prefix}calls`,
    owner: (ownerId) => `${prefix}owner:${ownerId}`,
    wake: (ownerId) => `${prefix}wake:${ownerId}`,
  };
}

/**
 * KEYS call, calls; ARGV callId, epoch, ownerId, ownerKeyPrefix, ttlSeconds, summary. Returns `ok, ordinal` or `live`.
 * The ordinal numbers the epochs of a call in rising order. It is Redis' time in ms, so that it also rises when
 * Redis has lost its data, and readers that still stand at an older epoch get the new one.
 */
export const openScript = script(`
local known = redis.call('HMGET', KEYS[1], 'epoch', 'ordinal', 'live', 'owner')
if known[1] == ARGV[2] then return {'ok', known[2]} end
if known[3] == '1' and known[4] ~= ARGV[3] and redis.call('EXISTS', ARGV[4] .. known[4]) == 1 then return {'live'} end
local time = redis.call('TIME')
local ordinal = time[1] * 1000 + math.floor(time[2] / 1000)
if known[2] and tonumber(known[2]) >= ordinal then ordinal = tonumber(known[2]) + 1 end
local id = string.format('%.0f', ordinal)
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'ordinal', id, 'owner', ARGV[3], 'lastSeq', 0, 'live', 1, 'summary', ARGV[6])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('SADD', KEYS[2], ARGV[1])
return {'ok', id}
`);

/**
 * KEYS call, stream, calls; ARGV callId, epoch, ownerId, ordinal, ackedSeq, firstSeq, live, summary, maxEvents,
 * ttlSeconds, event JSON…. Returns `ok`, `stale` or `order, expectedSeq`. Taking a batch again does nothing. Where Redis
 * has lost events that it had acknowledged, what is older goes too: what is kept has no gap, and begins later.
 */
export const appendScript = script(`
local known = redis.call('HMGET', KEYS[1], 'epoch', 'lastSeq')
local first = tonumber(ARGV[6])
local last = tonumber(known[2] or '0')
if known[1] and known[1] ~= ARGV[2] then return {'stale'} end
if not known[1] or (last < first - 1 and tonumber(ARGV[5]) == first - 1) then
  last = first - 1
  redis.call('XTRIM', KEYS[2], 'MINID', ARGV[4] .. '-' .. first)
end
if first > last + 1 then return {'order', last + 1} end
for index = 11, #ARGV do
  local seq = first + index - 11
  if seq > last then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[9], ARGV[4] .. '-' .. seq, 'e', ARGV[index]) end
end
local newest = first + #ARGV - 11
if newest >= last then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'ordinal', ARGV[4], 'owner', ARGV[3], 'lastSeq', newest, 'live', ARGV[7], 'summary', ARGV[8])
end
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[10])
redis.call('EXPIRE', KEYS[2], ARGV[10])
-- The former epoch's tail stays for a minute, for readers that have not got to its end.
if redis.call('TIME')[1] * 1000 - tonumber(ARGV[4]) > 60000 then redis.call('XTRIM', KEYS[2], 'MINID', ARGV[4] .. '-0') end
return {'ok'}
`);

/** KEYS call, stream; ARGV fromSeq, limit. Returns nothing if the call is unknown, else `epoch, lastSeq, firstId, event JSON…`. */
export const readScript = script(`
local known = redis.call('HMGET', KEYS[1], 'epoch', 'ordinal', 'lastSeq')
if not known[1] then return {} end
local oldest = redis.call('XRANGE', KEYS[2], known[2] .. '-0', known[2], 'COUNT', 1)
local page = {known[1], known[3], oldest[1] and oldest[1][1] or ''}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], known[2] .. '-' .. ARGV[1], known[2], 'COUNT', ARGV[2])) do
  page[#page + 1] = entry[2][2]
end
return page
`);

/** KEYS call; ARGV ownerKeyPrefix. Returns nothing, or `summary, whether its owner lives`. */
export const callScript = script(`
local known = redis.call('HMGET', KEYS[1], 'summary', 'owner')
if not known[1] then return {} end
return {known[1], redis.call('EXISTS', ARGV[1] .. known[2])}
`);

/** KEYS calls; ARGV callKeyPrefix, ownerKeyPrefix. Returns `summary, whether its owner lives` of each call; forgets those that expired. */
export const callsScript = script(`
local all = {}
for _, callId in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local known = redis.call('HMGET', ARGV[1] .. callId, 'summary', 'owner')
  if known[1] then
    all[#all + 1] = known[1]
    all[#all + 1] = redis.call('EXISTS', ARGV[2] .. known[2])
  else
    redis.call('SREM', KEYS[1], callId)
  end
end
return all
`);

/** KEYS call, stream. Returns the stream id after which new events come. */
export const positionScript = script(`
local known = redis.call('HMGET', KEYS[1], 'ordinal', 'lastSeq')
if known[1] then return known[1] .. '-' .. known[2] end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return newest[1] and newest[1][1] or '0-0'
`);

function script(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}
