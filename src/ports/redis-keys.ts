/**
 * Every key of Redis, each made in one place. All of it may vanish at any moment. Nothing personal stands in a
 * key: what names a person or a place goes in as a digest or an id.
 */

/** Attempts on one account within a minute, a count. Owner: http/limit. TTL: 60 s from the first attempt. */
export const attemptsOnAccount = (digest: string): string => `attempts:account:${digest}`

/** Attempts from one address within a minute, a count. Owner: http/limit. TTL: 60 s from the first attempt. */
export const attemptsFromAddress = (digest: string): string => `attempts:address:${digest}`

/** What the registered upstreams offer, as JSON; the digest is of the models' uids and times of change. Owner: models. TTL: 60 s, 10 s after a failure. */
export const offeredTypes = (digest: string): string => `models:offered:${digest}`

/** Where a person's log stands: `e` epoch, `n` number of the newest event, `b` bytes in the log. Owner: feeds. TTL: 2 h from the last event or reader. */
export const feedHead = (userUid: string): string => `feed:head:${userUid}`

/** A person's newest events, oldest first, a list of JSON: 1,000 events and 4 MiB at most. Owner: feeds. TTL: as the head. */
export const feedLog = (userUid: string): string => `feed:log:${userUid}`

/** The text so far of a person's running answers, a hash of pieces `<message>:<t|r>:<offset>`. Owner: feeds. TTL: as the head. */
export const feedLive = (userUid: string): string => `feed:live:${userUid}`

/** The last call of one writer, a number: a call that is sent twice counts once. Owner: feeds. TTL: 2 min. */
export const feedCall = (writer: string): string => `feed:call:${writer}`

/** Set when somebody asked this answer to stop. Owner: feeds. TTL: 20 min, more than an answer may last. */
export const stopAsked = (messageUid: string): string => `feed:stop:${messageUid}`

/** Set when nothing more may be told of this answer: its end was, or its chat is gone. Owner: feeds. TTL: 20 min, more than an answer may last. */
export const answerOver = (messageUid: string): string => `feed:over:${messageUid}`

/** Set when this outbox row was published. Owner: feeds. TTL: 1 day. */
export const published = (outboxUid: string): string => `feed:sent:${outboxUid}`

/** When something was sent or told last, in epoch milliseconds, or `idle`: then the sweep leaves the database alone. Owner: inference; feeds with each flush. TTL: none, it is one value. */
export const serviceState = (): string => 'sweep:state'

/** The channel on which a person's readers hear of new events. Nothing is kept in it. */
export const feedChannel = (userUid: string): string => `feed:${userUid}`

/** A feed ticket by its digest: whose it is, as JSON. Owner: auth. TTL: 30 s until its first use, then 12 h. */
export const ticket = (digest: string): string => `ticket:${digest}`
