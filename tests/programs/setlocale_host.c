/* Loads a plugin that sets the locale and closes it again: it must be gone. Then an error of the loader's waits while the
 * locale is set: it must still be told. */
#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    void *plugin = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!plugin)
        return 3;
    const char *(*use)(void) = (const char *(*)(void))dlsym(plugin, "plugin_use");
    if (!use || !use())
        return 4;
    dlclose(plugin);
    puts(dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD) ? "still there" : "gone");
    dlerror();
    dlopen("/no/such/object.so", RTLD_NOW);
    setlocale(LC_ALL, "C");
    const char *error = dlerror();
    puts(error && strstr(error, "/no/such/object.so") ? "no such object" : "no error");
    return 0;
}
