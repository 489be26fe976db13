// The bundler takes this old module's whole export object for its default one; this is its default.
import { Scrollbars } from './node_modules/react-custom-scrollbars-2/lib/index.js';

export default Scrollbars;
