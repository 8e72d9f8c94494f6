// The process of an isolated model (openIsolated): started by imago, of no use by itself.
import { serve } from '../dist/isolated/serve.js'

serve()
