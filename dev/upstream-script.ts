// What the demo upstream says: short answers about this gateway, and the directives that make it misbehave.

/** One piece is one word with the blanks after it, and counts as one token. */
export function piecesOf(text: string): string[] {
  return text.match(/\S+\s*|^\s+/g) ?? []
}

interface Topic {
  words: RegExp
  answer: string
}

const TOPICS: Topic[] = [
  {
    words: /\b(hold|holds|reserve|reserved|402|afford)\b/i,
    answer: `Before I hear a word of your question, the gateway sets some of your credits aside. That is the hold: \
the estimated price of what you sent plus the longest answer you allowed. It is worked out in whole \
micro-credits, so nothing is lost to rounding.

While a hold is open your *balance* does not move, only what is *available*. If there is not enough for a \
sensible answer, the gateway says so at once and nobody calls me at all. A hold is a promise, not a charge — \
when I finish, whatever I did not use is yours again.`,
  },
  {
    words: /\b(stream|streams|streaming|live|resume|reconnect|sse|offline|tab|phone)\b/i,
    answer: `You are watching it happen. I send one word at a time; the gateway passes each to the screen you asked \
from straight away, and writes it into a numbered log that belongs only to you.

Open this chat on a second device and it joins in mid-sentence. Close the lid of your laptop, walk to the \
kitchen, open your phone: the log remembers where you were, and you get exactly the words you missed. No gap, \
no repeat, and not one of them charged twice. 🙂`,
  },
  {
    words: /\b(settle|settles|settled|charge|charged|bill|billing|price|cost|costs|pay|usage|tokens?)\b/i,
    answer: `When I stop talking I report how many tokens I read and how many I wrote. The gateway prices them with the \
prices it copied when you asked — a price change in the meantime is not your problem — and books a single \
transaction.

A few rules worth knowing:

1. If I fail before my first word, you pay nothing.
2. If I fail half-way, you pay for the half you got.
3. If I forget to report my usage, the text itself is measured and the charge is marked *estimated*.
4. However often things crash, an answer is settled exactly once.`,
  },
  {
    words: /\b(stop|cancel|abort|interrupt|enough)\b/i,
    answer: `Press stop whenever you have read enough, from any device you are signed in on. The gateway hangs up on me \
within a moment, keeps what I had said so far, and charges for that part only.

I do not take it personally. The chat carries on from the words you kept.`,
  },
  {
    words: /\b(key|keys|openai|sdk|api|program|script|curl|v1|endpoint)\b/i,
    answer: `Make an API key and point any OpenAI client at this gateway. Two settings change, and nothing else:

\`\`\`ts
const client = new OpenAI({ baseURL: 'http://localhost:8000/v1', apiKey: process.env.KEY })
\`\`\`

A key may have a budget, an end and a list of models. Every answer says in its \`usage\` what it cost, and what goes \
wrong comes as the errors that such a client knows.`,
  },
  {
    words: /\b(balance|credits?|money|top.?up|wallet|ledger|transactions?|refund)\b/i,
    answer: `Your balance is nothing but the sum of your transactions; there is no second number that could disagree \
with it. Purchases and refunds add, answers subtract, and no row is ever changed or removed afterwards — the \
database itself refuses.

What you see as *available* is the balance less whatever is on hold for answers still being written. Neither \
can fall below zero.`,
  },
  {
    words: /\b(hello|hi|hey|who|what are you|help|demo)\b/i,
    answer: `Hello! I am the demo model. I run beside the gateway on your own machine, I know nothing about the world, \
and I cost only play money — but everything around me is real: the hold before I speak, the words arriving one \
by one, the charge when I am done.

Ask me about *holds*, *streaming*, *billing*, *stopping*, *keys* or your *balance*. Or open a second window \
next to this one and ask again, to see both of them write the same sentence.`,
  },
]

const OTHERWISE = `I am only a demo model, so I have no clever answer to that. What I can do is show you the way your \
question took.

First the gateway put a hold on a few credits. Then it called me, and has been passing on my words as I find \
them — this one, and this one. In a moment I will stop, tell it how many tokens that took, and it will settle: \
one transaction for the exact amount, and the rest of the hold back to you.

Ask about *holds*, *streams*, *settling* or *keys* and I will go into detail.`

const REASONING = `Let me see what is being asked, and which part of the gateway it is about. I should keep it short and \
friendly, and not pretend to know more than I do. `

/** The thinking of `demo-reasoner`. */
export function reasoningFor(question: string): string {
  return `${REASONING}The question has ${piecesOf(question).length} words. `
}

/** An answer about the gateway, chosen by the words of the question, which it repeats. The same for the same question. */
export function answerFor(question: string): string {
  const plain = question.replace(/\s+/g, ' ').trim()
  const topic = TOPICS.find(({ words }) => words.test(plain))
  if (plain === '') return topic?.answer ?? OTHERWISE
  const points = [...plain]
  const echo = points.length > 120 ? `${points.slice(0, 120).join('')}…` : plain
  return `You asked: “${echo}”\n\n${topic?.answer ?? OTHERWISE}`
}

/** Directives of a message: `[[name]]`, `[[name=value]]`, `[[name=value,other=value]]`, `[[say:any text]]`. */
export interface Directives {
  /** By name; faults without their `fault:`. */
  values: Map<string, string>
  /** The message without them. */
  rest: string
}

/** Reads and removes the directives of a message. */
export function directivesOf(message: string): Directives {
  const values = new Map<string, string>()
  const rest = message.replace(/\[\[([\s\S]*?)\]\]/g, (_, inner: string) => {
    const verbatim = /^(say|tool):([\s\S]*)$/.exec(inner)
    if (verbatim) values.set(verbatim[1]!, verbatim[2]!)
    else {
      for (const pair of inner.replace(/^fault:/, '').split(',')) {
        const [name, ...value] = pair.split('=')
        values.set(name!.trim(), value.join('=').trim())
      }
    }
    return ''
  })
  return { values, rest: rest.trim() }
}

/** The pieces of the answer that a message asks for. */
export function piecesFor(directives: Directives): string[] {
  const number = (name: string): number => Math.max(0, Math.floor(Number(directives.values.get(name)) || 0))
  const say = directives.values.get('say')
  if (say !== undefined) return piecesOf(say)
  if (directives.values.has('line')) return ['x'.repeat(number('line'))]
  if (directives.values.has('chunks')) {
    const size = number('size') || 8
    // Each piece tells its number, so that a gap or a repeat in the text can be seen.
    return Array.from({ length: number('chunks') }, (_, i) =>
      `${i} `.padEnd(size, 'lorem ipsum ').slice(0, size),
    )
  }
  const pieces = piecesOf(answerFor(directives.rest))
  if (!directives.values.has('tokens')) return pieces
  return Array.from({ length: number('tokens') }, (_, i) => pieces[i % pieces.length]!)
}
