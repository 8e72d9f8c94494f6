import { describeForm } from './row-forms.js'

describeForm('stream')
