/* A plugin that sets the locale, as many do when they are loaded. */
#include <locale.h>

const char *plugin_use(void)
{
    return setlocale(LC_ALL, "C");
}
