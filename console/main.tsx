import { render } from 'preact'
import { App } from './app.tsx'
import { startLive } from './state/live.ts'

startLive()
render(<App />, document.getElementById('console')!)
